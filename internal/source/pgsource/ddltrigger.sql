-- What an event trigger of PostgreSQL tells the stream of one integration.
-- @NAME stands for the publication's name, which is also that of the schema
-- that this is in; @SETTINGS for how values are printed; the other words in
-- capitals for the queries by which the driver itself looks at the catalog.
--
-- It has no error of its own reach the application's statement, waits for no
-- lock to speak of, and says nothing of temporary tables. A message is
-- transactional: what is rolled back was never said.
CREATE OR REPLACE FUNCTION @NAME@.ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
@SETTINGS@
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '100ms'
AS $penstock$
DECLARE
  touched oid[];           -- tables whose shape may have changed
  types oid[];             -- types that have changed, or whose rows have
  dropped oid[];           -- tables that are gone
  created oid[] := '{}';   -- partitions made, empty, by this command
  reload oid[] := '{}';    -- tables whose values are printed in another way now
  relations jsonb;
  attributes jsonb;
  needed jsonb;
  fills jsonb;
  lost record;
BEGIN
  IF tg_event = 'table_rewrite' THEN
    PERFORM pg_logical_emit_message(true, '@NAME@', jsonb_build_object(
      'rewritten', COALESCE(pg_partition_root(pg_event_trigger_table_rewrite_oid())::oid, pg_event_trigger_table_rewrite_oid()),
      'reason', pg_event_trigger_table_rewrite_reason(),
      'plain', current_query() ~* '^\s*alter\s+table\M' AND current_query() !~ ';.*\S' AND current_query() !~* '\musing\M')::text)
    FROM pg_class c WHERE c.oid = pg_event_trigger_table_rewrite_oid() AND c.relpersistence <> 't';
    RETURN;
  END IF;

  IF tg_event = 'sql_drop' THEN
    -- Columns go without a command on their table when their type does.
    SELECT array_agg(DISTINCT d.objid) FILTER (WHERE d.object_type = 'table'),
           array_agg(DISTINCT d.objid) FILTER (WHERE d.object_type = 'table column' AND tg_tag <> 'ALTER TABLE')
    INTO dropped, touched
    FROM pg_event_trigger_dropped_objects() d WHERE d.classid = 'pg_class'::regclass AND NOT d.is_temporary;
    IF tg_tag = 'DROP INDEX' THEN
      touched := touched || ARRAY(SELECT c.oid FROM pg_class c WHERE c.relreplident = 'i'
        AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident));
    END IF;
  ELSE
    SELECT array_agg(DISTINCT t.oid), array_agg(DISTINCT t.oid) FILTER (WHERE t.new) INTO touched, created
    FROM (
      SELECT c.oid, d.command_tag = 'CREATE TABLE' AND c.relispartition AS new FROM pg_event_trigger_ddl_commands() d JOIN pg_class c ON c.oid = d.objid
      WHERE d.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
        AND d.command_tag IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO')
      UNION ALL
      SELECT c.oid, false FROM pg_event_trigger_ddl_commands() d JOIN pg_class c ON c.relnamespace = d.objid
      WHERE d.classid = 'pg_namespace'::regclass AND d.command_tag = 'ALTER SCHEMA' AND c.relkind IN ('r', 'p')) t;
    SELECT array_agg(t.oid) INTO types
    FROM (
      SELECT d.objid AS oid FROM pg_event_trigger_ddl_commands() d WHERE d.classid = 'pg_type'::regclass
      UNION
      SELECT c.reltype FROM pg_event_trigger_ddl_commands() d JOIN pg_class c ON c.oid = d.objid
      WHERE d.classid = 'pg_class'::regclass AND c.relkind IN ('c', 'r', 'p') AND d.command_tag IN ('ALTER TYPE', 'ALTER TABLE')) t;
    IF types IS NOT NULL THEN
      -- Who uses them, by way of other types as well.
      WITH RECURSIVE user_of(classid, objid) AS (
        SELECT 'pg_type'::regclass::oid, unnest(types)
        UNION
        SELECT d.classid, d.objid FROM user_of u JOIN pg_depend d ON d.refclassid = u.classid AND d.refobjid = u.objid
        WHERE d.classid IN ('pg_type'::regclass, 'pg_class'::regclass))
      SELECT array_agg(c.oid) INTO reload FROM user_of u JOIN pg_class c ON c.oid = u.objid
      WHERE u.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.oid <> ALL (COALESCE(touched, '{}'));
      touched := touched || reload;
      IF tg_tag = 'ALTER DOMAIN' OR tg_tag = 'ALTER TYPE' AND current_query() ~* '^\s*alter\s+type\M' AND current_query() !~ ';.*\S'
        AND current_query() !~* '\mrename\s+value\M|\mattribute\M|/\*|--' THEN
        reload := '{}'; -- a new label, a new name, a constraint: nothing that is there looks different
      END IF;
    END IF;
  END IF;

  -- What is done to a table is done to those that inherit from it; partitions
  -- count as part of their root.
  WITH RECURSIVE tree(oid) AS (
    SELECT unnest(touched)
    UNION
    SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid)
  SELECT array_agg(DISTINCT COALESCE(pg_partition_root(t.oid)::oid, t.oid)) INTO touched FROM tree t;
  IF touched IS NULL AND dropped IS NULL THEN
    RETURN;
  END IF;

  EXECUTE $q$@RELATIONS@$q$ INTO relations USING '{}'::oid[], touched;
  EXECUTE $q$@ATTRIBUTES@$q$ INTO attributes USING touched;
  EXECUTE $q$@TYPES@$q$ INTO needed
    USING ARRAY(SELECT (a->>'typ')::oid FROM jsonb_array_elements(attributes) a), ARRAY(SELECT (a->>'typmod')::int4 FROM jsonb_array_elements(attributes) a);
  -- What rows that were there before a column was added have in it.
  SELECT jsonb_agg(to_jsonb(f)) INTO fills
  FROM (
    SELECT l.root AS relation, a.attname AS name, min((a.attmissingval::text::text[])[1]) AS value,
           count(DISTINCT a.attmissingval::text) > 1 OR NOT bool_and(a.atthasmissing) AS mixed
    FROM (
      SELECT r.oid AS root, r.oid AS leaf FROM pg_class r WHERE r.oid = ANY (touched) AND r.relkind = 'r'
      UNION ALL
      SELECT r.oid, t.relid FROM pg_class r CROSS JOIN LATERAL (@LEAVES@) t WHERE r.oid = ANY (touched) AND r.relkind = 'p') l
    JOIN pg_attribute a ON a.attrelid = l.leaf AND a.attnum > 0 AND NOT a.attisdropped
    GROUP BY 1, 2 HAVING bool_or(a.atthasmissing)) f;
  PERFORM pg_logical_emit_message(true, '@NAME@', jsonb_strip_nulls(jsonb_build_object('tag', tg_tag,
    'dropped', to_jsonb(dropped), 'created', to_jsonb(created), 'reload', to_jsonb(reload),
    'relations', relations, 'attributes', attributes, 'types', needed, 'fills', fills))::text);
  -- Decoding takes a message to be where it ends, which is where the next record
  -- begins, and may deliver a row of that before. With one more message behind
  -- it, it may not.
  PERFORM pg_logical_emit_message(true, '@NAME@', '');

  -- An update of a table that has no replica identity any more, or whose whole
  -- rows are that and have virtual columns, which are never published, would be
  -- refused if the table is published for updates.
  FOR lost IN
    SELECT r.schema, r.name FROM jsonb_to_recordset(relations) AS r(oid oid, schema text, name text, identity text, key jsonb, unlike text, unfull text)
    JOIN pg_publication_rel m ON m.prrelid = r.oid JOIN pg_publication p ON p.oid = m.prpubid
    WHERE p.pubname = '@NAME@' AND CASE
      WHEN r.identity = 'n' OR r.identity = 'f' AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = r.oid AND a.attgenerated = 'v' AND NOT a.attisdropped) THEN true
      WHEN jsonb_array_length(r.key) > 0 THEN r.unlike <> '' WHEN r.identity = 'f' THEN r.unfull <> '' ELSE true END
  LOOP
    BEGIN
      EXECUTE format('ALTER PUBLICATION @NAME@ DROP TABLE %I.%I', lost.schema, lost.name);
    EXCEPTION WHEN OTHERS THEN
      RAISE LOG '@NAME@: table %.% stays published for updates: %', lost.schema, lost.name, SQLERRM;
    END;
  END LOOP;
EXCEPTION WHEN OTHERS THEN
  RAISE LOG '@NAME@: a change of tables was not told: %', SQLERRM;
END
$penstock$;

DROP EVENT TRIGGER IF EXISTS @NAME@_ddl;
DROP EVENT TRIGGER IF EXISTS @NAME@_drop;
DROP EVENT TRIGGER IF EXISTS @NAME@_rewrite;
CREATE EVENT TRIGGER @NAME@_ddl ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER SCHEMA', 'ALTER TYPE', 'ALTER DOMAIN') EXECUTE FUNCTION @NAME@.ddl();
CREATE EVENT TRIGGER @NAME@_drop ON sql_drop EXECUTE FUNCTION @NAME@.ddl();
CREATE EVENT TRIGGER @NAME@_rewrite ON table_rewrite EXECUTE FUNCTION @NAME@.ddl();
ALTER EVENT TRIGGER @NAME@_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER @NAME@_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER @NAME@_rewrite ENABLE ALWAYS;

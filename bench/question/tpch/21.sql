SELECT s_name, count(*) AS waited
FROM supplier
JOIN nation ON n_nationkey = s_nationkey
JOIN lineitem AS late ON late.l_suppkey = s_suppkey
JOIN orders ON o_orderkey = late.l_orderkey
WHERE n_name = 'SAUDI ARABIA' AND o_orderstatus = 'F' AND late.l_receiptdate > late.l_commitdate
	AND EXISTS (SELECT 1 FROM lineitem AS x WHERE x.l_orderkey = late.l_orderkey AND x.l_suppkey <> late.l_suppkey)
	AND NOT EXISTS (
		SELECT 1 FROM lineitem AS x
		WHERE x.l_orderkey = late.l_orderkey AND x.l_suppkey <> late.l_suppkey AND x.l_receiptdate > x.l_commitdate)
GROUP BY s_name
ORDER BY waited DESC, s_name
LIMIT 100

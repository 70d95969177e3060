-- +goose Up
CREATE TABLE integrations (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL, -- nanoseconds since 1970
    document   TEXT NOT NULL
) STRICT;
CREATE INDEX integrations_in_order ON integrations (created_at, id);

CREATE TABLE events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL, -- nanoseconds since 1970
    integration TEXT NOT NULL,
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    severity    TEXT NOT NULL,
    message     TEXT NOT NULL
) STRICT;
CREATE INDEX events_in_order ON events (at, id);
CREATE INDEX events_of_integration ON events (integration, at, id);

CREATE TABLE orphans (
    integration TEXT PRIMARY KEY,
    since       INTEGER NOT NULL, -- nanoseconds since 1970
    document    TEXT NOT NULL
) STRICT;

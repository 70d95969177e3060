-- +goose Up
CREATE TABLE policies (
    target   TEXT PRIMARY KEY, -- ARN
    document TEXT NOT NULL
) STRICT;

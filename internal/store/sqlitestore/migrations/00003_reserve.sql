-- +goose Up
-- Filled and emptied to hold disk space; see reserve.go.
CREATE TABLE reserve (filler BLOB NOT NULL) STRICT;

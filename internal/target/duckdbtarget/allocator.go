package duckdbtarget

// The engine's allocator, jemalloc, keeps what is freed for ten seconds and
// more, each of its arenas for itself, so that a few large values, which it
// copies several times, stay with the process long after they are gone
// (promise 7). What is larger than its oversize_threshold it gives back at once;
// the engine sets that to 256 MB. The variable is jemalloc's own way for a
// program to have the last word on its options. Where the engine comes without
// jemalloc, nobody reads it.

// const char *duckdb_je_malloc_conf_2_conf_harder = "oversize_threshold:2097152";
import "C"

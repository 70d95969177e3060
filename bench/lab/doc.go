// Package lab sets up what the benchmarks measure: throwaway PostgreSQL
// servers, the built penstock program on a data folder of its own, and the
// programs it is compared with, each as a process whose CPU time and memory
// are known; and it checks that a warehouse holds, value by value, what its
// source does.
//
// An Env owns all of it. What is not ended when the benchmark goes away ends
// with it.
package lab

// Package measure takes measurements on Linux: the CPU time and peak memory of
// processes and of the machine, from /proc, and what a few repetitions say
// about a quantity. It knows nothing of what is measured.
//
// CPU time is compared rather than wall time where a machine is shared: it
// says what something costs, whoever else was at work. What other processes
// took meanwhile is part of each measurement (Window.Others), so that a window
// in which the machine was not quiet can be told.
package measure

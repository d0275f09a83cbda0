/* Lines on the console, and the end when init cannot go on. */
#ifndef VMM_FATAL_H
#define VMM_FATAL_H

/* One line to the console. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints one line to the console, tells the host if it can, and stops the machine as failed. */
_Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Who tells the host: called once, with the line. */
extern void (*on_fatal)(const char *text);

#endif

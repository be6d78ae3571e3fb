#pragma once
#include_next <time.h>
#ifndef TIME_UTC
#define TIME_UTC 1
struct timespec {
  time_t tv_sec;
  long tv_nsec;
};
extern "C" int __cdecl timespec_get(struct timespec*, int);
#endif

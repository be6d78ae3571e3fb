/* Windows has few of the POSIX types: no ssize_t, no uint, no u_int, no pid_t. */
#pragma once
#include <corecrt.h>
#ifndef _INO_T_DEFINED
#define _INO_T_DEFINED
typedef unsigned short _ino_t;
#endif
#ifndef _DEV_T_DEFINED
#define _DEV_T_DEFINED
typedef unsigned int _dev_t;
#endif
#ifndef _OFF_T_DEFINED
#define _OFF_T_DEFINED
typedef long _off_t;
#endif
typedef _ino_t ino_t;
typedef _dev_t dev_t;
typedef _off_t off_t;

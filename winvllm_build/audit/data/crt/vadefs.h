#pragma once
#ifdef __clang__
typedef __builtin_va_list va_list;
#define _crt_va_start(list, last) __builtin_va_start(list, last)
#define _crt_va_arg(list, type) __builtin_va_arg(list, type)
#define _crt_va_end(list) __builtin_va_end(list)
#define _crt_va_copy(to, from) __builtin_va_copy(to, from)
#else
typedef char* va_list;
#ifdef __cplusplus
extern "C" {
#endif
void __cdecl __va_start(va_list*, ...);
#ifdef __cplusplus
}
#endif
/* x64: each argument has a slot of eight bytes; what is larger, or of an odd size, is behind a pointer. */
#define WINVLLM_SLOT(list) ((list) += sizeof(__int64)) - sizeof(__int64)
#define WINVLLM_BEHIND(type) (sizeof(type) > sizeof(__int64) || (sizeof(type) & (sizeof(type) - 1)) != 0)
#define _crt_va_start(list, last) ((void)(__va_start(&list, last)))
#define _crt_va_arg(list, type) \
  (WINVLLM_BEHIND(type) ? **(type**)(WINVLLM_SLOT(list)) : *(type*)(WINVLLM_SLOT(list)))
#define _crt_va_end(list) ((void)((list) = (va_list)0))
#define _crt_va_copy(to, from) ((void)((to) = (from)))
#endif

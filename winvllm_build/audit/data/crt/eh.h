#pragma once
#include <corecrt.h>
typedef void(__cdecl* terminate_handler)(void);
typedef void(__cdecl* terminate_function)(void);
typedef void(__cdecl* unexpected_handler)(void);
typedef void(__cdecl* unexpected_function)(void);
extern "C" {
terminate_handler __cdecl set_terminate(terminate_handler) noexcept;
terminate_handler __cdecl _get_terminate(void);
unexpected_handler __cdecl set_unexpected(unexpected_handler) noexcept;
unexpected_handler __cdecl _get_unexpected(void);
__declspec(noreturn) void __cdecl terminate(void) noexcept;
void __cdecl unexpected(void);
int __cdecl __uncaught_exceptions(void);
bool __cdecl __uncaught_exception(void);
}

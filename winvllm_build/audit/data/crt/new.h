#pragma once
#include <vcruntime.h>
#include <vcruntime_new.h>
namespace std {
typedef void(__cdecl* new_handler)();
new_handler __cdecl set_new_handler(new_handler) noexcept;
}

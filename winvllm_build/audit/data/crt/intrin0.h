#pragma once
#include <intrin0.inl.h>

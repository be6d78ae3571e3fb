/* Windows does not tell upper from lower case. */
#pragma once
#include <basetsd.h>

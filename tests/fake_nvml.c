/* NVML's interface without a card. FAKE_NVML says what is there: gpus, old, lost, none, unloaded. */
#include <stdlib.h>
#include <string.h>

enum { OK = 0, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };
typedef struct { unsigned long long total, free, used; } memory;
struct card { const char *name, *uuid; int major, minor; memory bytes; unsigned model, shown; };
static struct card cards[] = {
    {"NVIDIA GeForce RTX 3090", "GPU-aaaa", 8, 6, {25769803776ULL, 23622320128ULL, 2147483648ULL}, 0, 1},
    {"NVIDIA RTX 6000 Ada Generation", "GPU-bbbb", 8, 9, {51527024640ULL, 51000000000ULL, 527024640ULL}, 1, 0},
};

static int is(const char *scene) {
    const char *set = getenv("FAKE_NVML");
    return set != NULL && strcmp(set, scene) == 0;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; return is("unloaded") ? DRIVER_NOT_LOADED : OK; }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) { return code == DRIVER_NOT_LOADED ? "Driver Not Loaded" : "GPU is lost"; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    strncpy(text, is("old") ? "472.12" : "581.15", size);
    return OK;
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = is("old") ? 11040 : 13010; return OK; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = is("none") ? 0 : 2; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct card **card) {
    if (is("lost") && index == 0) return GPU_IS_LOST;
    *card = &cards[index];
    return OK;
}
int nvmlDeviceGetName(struct card *card, char *text, unsigned size) {
    strncpy(text, card->name, size);
    return OK;
}
int nvmlDeviceGetUUID(struct card *card, char *text, unsigned size) {
    if (is("old")) return NOT_SUPPORTED;
    strncpy(text, card->uuid, size);
    return OK;
}
int nvmlDeviceGetCudaComputeCapability(struct card *card, int *major, int *minor) {
    *major = card->major;
    *minor = card->minor;
    return OK;
}
int nvmlDeviceGetMemoryInfo(struct card *card, memory *bytes) { *bytes = card->bytes; return OK; }
int nvmlDeviceGetDisplayActive(struct card *card, unsigned *shown) {
    if (is("old")) return NOT_SUPPORTED;
    *shown = card->shown;
    return OK;
}
int nvmlDeviceGetDriverModel(struct card *card, unsigned *now, unsigned *later) {
    if (is("linux")) return NOT_SUPPORTED;
    *now = *later = card->model;
    return OK;
}
#ifndef OLD_DRIVER
int nvmlDeviceGetDriverModel_v2(struct card *card, unsigned *now, unsigned *later) {
    return nvmlDeviceGetDriverModel(card, now, later);
}
#endif

// CUDA's libraries, found when they are first called.
//
// candle links them, so that a program of its own would not even start where one of them is missing. This is linked in their place: each of their functions
// is a jump through a slot (functions.S), and all slots lead here until their first call. functions.inc, which `make.py` writes, has a line
// FUNCTION(number, name, file, answer) for each of them; `answer` stands in for it where it cannot be found.
//
// Libraries outside of the loader's folders are found too once the program has loaded them by their path (src/model/device/libraries.rs).
#include <dlfcn.h>
#include <stdint.h>

typedef intptr_t answer(void);

// Statuses that say "not there", of each library's own.
static intptr_t no_driver(void) { return 34; }   // CUDA_ERROR_STUB_LIBRARY
static intptr_t no_cublas(void) { return 1; }    // CUBLAS_STATUS_NOT_INITIALIZED
static intptr_t no_curand(void) { return 101; }  // CURAND_STATUS_NOT_INITIALIZED
static intptr_t no_nvrtc(void) { return 11; }    // NVRTC_ERROR_INTERNAL_ERROR
// What functions give that return no status.
static intptr_t no_text(void) { return (intptr_t)"the library is missing"; }
static intptr_t no_number(void) { return 0; }

static const struct {
    const char *name, *file;
    answer *otherwise;
} functions[] = {
#define FUNCTION(number, name, file, answer) {#name, file, answer},
#include "functions.inc"
};

extern void *reftc_lazy_slots[];

// Where a call of the function goes. Any thread may come here at any time, since all that is done twice is done with the same result. Nothing is
// remembered of a function that is missing: its library may be loaded later.
void *reftc_lazy_find(uint32_t number) {
    void *library = dlopen(functions[number].file, RTLD_LAZY);
    void *found = library ? dlsym(library, functions[number].name) : 0;
    if (!found) return (void *)functions[number].otherwise;
    __atomic_store_n(&reftc_lazy_slots[number], found, __ATOMIC_RELEASE);
    return found;
}

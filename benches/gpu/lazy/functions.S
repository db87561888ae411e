// A jump for each function of functions.inc, and what happens at its first call: see lazy.c.

#if defined(__x86_64__)
#define FUNCTION(number, name, file, answer) \
    .globl name; .hidden name; .type name, @function; \
    name: jmp *reftc_lazy_slots + 8 * number(%rip); \
    first_##number: pushq $number; jmp first_call; \
    .pushsection .data; .quad first_##number; .popsection
#elif defined(__aarch64__)
#define FUNCTION(number, name, file, answer) \
    .globl name; .hidden name; .type name, %function; \
    name: adrp x16, reftc_lazy_slots + 8 * number; \
    ldr x16, [x16, :lo12:reftc_lazy_slots + 8 * number]; \
    br x16; \
    first_##number: mov w17, number; b first_call; \
    .pushsection .data; .quad first_##number; .popsection
#else
#error "no jumps are written for this processor: benches/gpu/lazy/functions.S"
#endif

    .data
    .balign 8
    .globl reftc_lazy_slots
    .hidden reftc_lazy_slots
reftc_lazy_slots:
    .text
#include "functions.inc"

// Asks reftc_lazy_find where to go and goes there, with all arguments as they came: in integer and vector registers, and on the stack.
#if defined(__x86_64__)
first_call: // on the stack: the number, the return address
    .cfi_startproc
    .cfi_def_cfa_offset 16
    push %rbp
    .cfi_def_cfa_offset 24
    .cfi_offset rbp, -24
    mov %rsp, %rbp
    .cfi_def_cfa_register rbp
    sub $200, %rsp // eight of 8 bytes, eight of 16, and 8 that make the stack a multiple of 16
    mov %rdi, (%rsp)
    mov %rsi, 8(%rsp)
    mov %rdx, 16(%rsp)
    mov %rcx, 24(%rsp)
    mov %r8, 32(%rsp)
    mov %r9, 40(%rsp)
    mov %rax, 48(%rsp) // how many vector registers a variadic call uses
    mov %r10, 56(%rsp)
    movups %xmm0, 64(%rsp)
    movups %xmm1, 80(%rsp)
    movups %xmm2, 96(%rsp)
    movups %xmm3, 112(%rsp)
    movups %xmm4, 128(%rsp)
    movups %xmm5, 144(%rsp)
    movups %xmm6, 160(%rsp)
    movups %xmm7, 176(%rsp)
    mov 8(%rbp), %edi
    call reftc_lazy_find
    mov %rax, %r11
    mov (%rsp), %rdi
    mov 8(%rsp), %rsi
    mov 16(%rsp), %rdx
    mov 24(%rsp), %rcx
    mov 32(%rsp), %r8
    mov 40(%rsp), %r9
    mov 48(%rsp), %rax
    mov 56(%rsp), %r10
    movups 64(%rsp), %xmm0
    movups 80(%rsp), %xmm1
    movups 96(%rsp), %xmm2
    movups 112(%rsp), %xmm3
    movups 128(%rsp), %xmm4
    movups 144(%rsp), %xmm5
    movups 160(%rsp), %xmm6
    movups 176(%rsp), %xmm7
    leave
    .cfi_def_cfa rsp, 16
    add $8, %rsp
    .cfi_def_cfa_offset 8
    jmp *%r11
    .cfi_endproc
#elif defined(__aarch64__)
first_call: // in w17: the number
    .cfi_startproc
    stp x29, x30, [sp, -224]!
    .cfi_def_cfa_offset 224
    .cfi_offset x29, -224
    .cfi_offset x30, -216
    mov x29, sp
    stp x0, x1, [sp, 16]
    stp x2, x3, [sp, 32]
    stp x4, x5, [sp, 48]
    stp x6, x7, [sp, 64]
    str x8, [sp, 80]
    stp q0, q1, [sp, 96]
    stp q2, q3, [sp, 128]
    stp q4, q5, [sp, 160]
    stp q6, q7, [sp, 192]
    mov w0, w17
    bl reftc_lazy_find
    mov x16, x0
    ldp x0, x1, [sp, 16]
    ldp x2, x3, [sp, 32]
    ldp x4, x5, [sp, 48]
    ldp x6, x7, [sp, 64]
    ldr x8, [sp, 80]
    ldp q0, q1, [sp, 96]
    ldp q2, q3, [sp, 128]
    ldp q4, q5, [sp, 160]
    ldp q6, q7, [sp, 192]
    ldp x29, x30, [sp], 224
    .cfi_def_cfa_offset 0
    .cfi_restore x29
    .cfi_restore x30
    br x16
    .cfi_endproc
#endif

    .section .note.GNU-stack, "", %progbits

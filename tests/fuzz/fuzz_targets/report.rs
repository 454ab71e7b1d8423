//! Fuzzes `chainrule_fuzz::report`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    chainrule_fuzz::report(data);
});

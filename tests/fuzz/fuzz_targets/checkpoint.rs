//! Fuzzes `chainrule_fuzz::checkpoint`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    chainrule_fuzz::checkpoint(data);
});

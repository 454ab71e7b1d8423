//! Fuzzes `chainrule_fuzz::idx`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    chainrule_fuzz::idx(data);
});

//! Fuzzes `chainrule_fuzz::settings`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    chainrule_fuzz::settings(data);
});

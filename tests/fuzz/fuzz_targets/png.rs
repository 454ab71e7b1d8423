//! Fuzzes `chainrule_fuzz::png`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    chainrule_fuzz::png(data);
});

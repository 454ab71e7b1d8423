//! Fuzzes `chainrule_fuzz::npz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    chainrule_fuzz::npz(data);
});

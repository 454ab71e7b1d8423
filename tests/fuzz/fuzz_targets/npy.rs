//! Fuzzes `chainrule_fuzz::npy`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    chainrule_fuzz::npy(data);
});

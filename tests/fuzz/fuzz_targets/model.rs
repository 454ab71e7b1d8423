//! Fuzzes `chainrule_fuzz::model`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    chainrule_fuzz::model(data);
});

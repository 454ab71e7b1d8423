//! The functions of this program that compute a step, shown from the source itself.

/// A function of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceFunction {
    /// Its file below `src/`.
    pub file: &'static str,
    /// The file.
    text: &'static str,
    /// What its first line begins with, after blanks.
    begins: &'static str,
}

/// The function of a file below `src/` whose first line begins so.
macro_rules! source {
    ($file:literal, $begins:literal) => {
        $crate::explain::source::SourceFunction::new(
            $file,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/", $file)),
            $begins,
        )
    };
}
pub(super) use source;

impl SourceFunction {
    pub(super) const fn new(file: &'static str, text: &'static str, begins: &'static str) -> Self {
        SourceFunction { file, text, begins }
    }

    /// The function's lines, with the documentation before it.
    ///
    /// # Panics
    /// If the file has no such function. A test looks for all of them.
    pub fn lines(&self) -> &'static str {
        let mut start = self.find();
        let indent = self.text[start..].len() - self.text[start..].trim_start().len();
        let closing = format!("\n{:indent$}}}", "");
        let end = self.text[start..].find(&closing).expect("a function ends");
        let end = start + end + closing.len();
        for line in self.text[..start].lines().rev() {
            let line_start = start - line.len() - 1;
            if !line.trim_start().starts_with("///") && !line.trim_start().starts_with("#[") {
                break;
            }
            start = line_start;
        }
        &self.text[start..end]
    }

    /// Where the function's first line starts.
    fn find(&self) -> usize {
        let mut start = 0;
        for line in self.text.split_inclusive('\n') {
            if line.trim_start().starts_with(self.begins) {
                return start;
            }
            start += line.len();
        }
        panic!("{} has no {}", self.file, self.begins)
    }
}

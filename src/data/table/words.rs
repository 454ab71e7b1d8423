//! The words of a table, each kept once.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Words by code: one text, and where each word ends in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::data) struct Words {
    words: Arc<WordList>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct WordList {
    text: String,
    ends: Vec<usize>,
}

impl WordList {
    fn get(&self, code: u32) -> &str {
        let code = code as usize;
        let start = code.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[code]]
    }
}

impl Words {
    /// The word with this code.
    pub(in crate::data) fn get(&self, code: u32) -> &str {
        self.words.get(code)
    }

    /// All words, in the order of their codes.
    pub(in crate::data) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.words.ends.len() as u32).map(|code| self.get(code))
    }
}

/// Collects words and gives each a code.
#[derive(Default)]
pub(in crate::data) struct WordCollector {
    words: WordList,
    codes: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl WordCollector {
    /// The code of a word; words that are not known get the next one.
    pub(in crate::data) fn code(&mut self, word: &str) -> u32 {
        let WordCollector {
            words,
            codes,
            hasher,
        } = self;
        let hash = hasher.hash_one(word);
        if let Some(&code) = codes.find(hash, |&code| words.get(code) == word) {
            return code;
        }
        let code = words.ends.len() as u32;
        words.text.push_str(word);
        words.ends.push(words.text.len());
        codes.insert_unique(hash, code, |&code| hasher.hash_one(words.get(code)));
        code
    }

    pub(in crate::data) fn finish(self) -> Words {
        Words {
            words: Arc::new(self.words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_has_one_code() {
        let mut collector = WordCollector::default();
        let many: Vec<String> = (0..5000).map(|i| format!("w{}", i % 1234)).collect();
        let codes: Vec<u32> = many.iter().map(|word| collector.code(word)).collect();
        assert_eq!(collector.code(""), 1234);
        let words = collector.finish();
        for (word, code) in many.iter().zip(codes) {
            assert_eq!(words.get(code), word);
        }
        assert_eq!(words.iter().count(), 1235);
    }
}

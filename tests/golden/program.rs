//! The reference cases through the program: settings, data and initial weights as files, the last weights as a file.

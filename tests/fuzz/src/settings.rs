//! Files of settings.

use std::path::Path;

use chainrule::settings::{Config, Settings};

use crate::files::{Files, sound};

/// The input is a TOML file. Settings that are accepted are the same after they were written and read again; so are
/// those of the run that they make, and these make the same run.
pub fn settings(input: &[u8]) -> bool {
    let files = Files::new();
    let path = files.write("settings.toml", input);
    let Some(settings) = sound(Settings::from_file(&path)) else {
        return false;
    };
    assert_eq!(
        settings.flat().len(),
        settings.over(&Settings::default()).flat().len()
    );
    let Some(text) = sound(settings.to_toml()) else {
        assert!(sound(Config::new(&settings)).is_none());
        return false;
    };
    assert_eq!(read(&path, &text), settings);
    let Some(config) = sound(Config::new(&settings)) else {
        return false;
    };
    let resolved = read(
        &path,
        &config
            .resolved
            .to_toml()
            .expect("resolved settings are sound"),
    );
    assert_eq!(resolved, config.resolved);
    let again = Config::new(&resolved).expect("resolved settings make a run");
    assert_eq!(again.resolved, resolved);
    if let Some(network) = sound(config.network(3, 2)) {
        network.validate().unwrap();
    }
    true
}

fn read(path: &Path, text: &str) -> Settings {
    std::fs::write(path, text).expect("room for temporary files");
    Settings::from_file(path).expect("what was written can be read")
}

//! The defaults of a plan that suit its data.

use std::path::Path;

use super::journal::Journal;
use super::plan::Plan;
use super::preset::Outline;
use super::study::PLAN;
use crate::data::Dataset;
use crate::error::Result;
use crate::settings::Settings;

impl Plan {
    /// Takes the defaults that suit the data where the plan says nothing. A study that the journal has already keeps
    /// the defaults with which it began: those of earlier versions are the same for all data. Returns what was chosen,
    /// in words.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn suit(&mut self, data: &Dataset, journal: &Path) -> Result<Option<String>> {
        let said = self.space.settings(&self.space.middle(), &self.base)?;
        let (chosen, notice) = said.suited_to(data);
        if notice.is_some() && self.has_begun(data, journal)? {
            self.unsaid = Settings::of_pictures();
            return Ok(None);
        }
        self.base = self.base.over(&chosen);
        Ok(notice)
    }

    /// Whether the journal has a study with this very plan.
    fn has_begun(&self, data: &Dataset, journal: &Path) -> Result<bool> {
        if !journal.exists() {
            return Ok(false);
        }
        let journal = Journal::open(journal)?;
        let study = journal.storage().study(&self.name);
        let recorded = study.and_then(|study| study.user_attrs.get(PLAN));
        Ok(recorded == Some(&self.describe(&data.hash)))
    }
}

impl Outline {
    /// [`Plan::suit`] for all plans of a whole study.
    ///
    /// # Errors
    /// As there.
    pub fn suit(&mut self, data: &Dataset, journal: &Path) -> Result<Option<String>> {
        for plan in &mut self.series {
            plan.suit(data, journal)?;
        }
        let chosen = self.search.suit(data, journal)?;
        let search = self.search.base.over(&self.search.unsaid);
        self.final_settings = self.final_settings.over(&search);
        Ok(chosen)
    }
}

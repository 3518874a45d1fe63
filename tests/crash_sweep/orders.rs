//! What the command line asks for.

use crate::sweep::Journey;

/// As many as two cores keep up with: most of a journey is waiting.
const SIDE_BY_SIDE: usize = 4;

pub(crate) struct Orders {
    pub(crate) journeys: Vec<Journey>,
    /// One point of each journey instead of all.
    pub(crate) point: Option<usize>,
    pub(crate) side_by_side: usize,
}

impl Orders {
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        // The alias of the command ends with the same mark, so that it may be left out.
        let mut arguments = arguments.filter(|argument| argument != "--");
        let mut orders = Self { journeys: Journey::ALL.to_vec(), point: None, side_by_side: SIDE_BY_SIDE };
        while let Some(flag) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
            let number = || value.parse::<usize>().map_err(|_| format!("{flag} needs a number, not {value}"));
            match flag.as_str() {
                "--journey" => orders.journeys = vec![journey(&value)?],
                "--point" => orders.point = Some(number()?),
                "--side-by-side" => orders.side_by_side = number()?.max(1),
                _ => return Err(format!("{flag} is not one of --journey, --point, --side-by-side")),
            }
        }
        Ok(orders)
    }
}

fn journey(name: &str) -> Result<Journey, String> {
    let names = || Journey::ALL.map(Journey::name).join(", ");
    let found = Journey::ALL.into_iter().find(|journey| journey.name() == name);
    found.ok_or_else(|| format!("{name} is not one of {}", names()))
}

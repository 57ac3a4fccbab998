//! Figures as people read them.

/// A count with its thousands separated.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut told = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

/// A size in the unit that fits it.
pub(crate) fn size(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((unit, name)) = units.into_iter().find(|&(unit, _)| bytes >= unit) else {
        return format!("{bytes} B");
    };
    // Tenths in whole numbers: a figure for people needs no more.
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_as_people_read_them() {
        assert_eq!(
            [0, 999, 1_000, 51_280, 1_048_576].map(count),
            ["0", "999", "1,000", "51,280", "1,048,576"]
        );
        assert_eq!(
            [0, 1_024, 1_572_864, 12 << 30, u64::MAX].map(size),
            ["0 B", "1.0 KiB", "1.5 MiB", "12.0 GiB", "17179869183.9 GiB"]
        );
    }
}

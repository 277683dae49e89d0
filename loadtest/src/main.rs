//! Load: journeys, flash sale; open-loop arrivals, gates, report

fn main() {}

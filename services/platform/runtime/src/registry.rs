//! Modules in the order of their needs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use crate::{Check, Module};

/// The modules of a process.
#[derive(Debug, Default)]
pub struct Registry {
    modules: Vec<Module>,
    remote: BTreeSet<&'static str>,
}

impl Registry {
    /// Without modules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a module of this process.
    pub fn add(&mut self, module: Module) -> &mut Self {
        self.modules.push(module);
        self
    }

    /// Says that `name` runs in another process, so that needing it is no error.
    pub fn remote(&mut self, name: &'static str) -> &mut Self {
        self.remote.insert(name);
        self
    }

    /// Whether `name` runs in this process.
    pub fn has(&self, name: &str) -> bool {
        self.modules.iter().any(|module| module.name == name)
    }

    /// What must be true of the rows of the modules here.
    pub fn checks(&self) -> Vec<Check> {
        self.modules.iter().flat_map(|module| module.checks.iter().cloned()).collect()
    }

    /// The modules, each after all that it needs; among those that are free to go, in the order they were added. An error
    /// names two modules of one name, a need that is nowhere, or a circle.
    pub fn in_order(self) -> Result<Vec<Module>> {
        let mut waiting: BTreeMap<usize, Module> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for (place, module) in self.modules.into_iter().enumerate() {
            if !names.insert(module.name) {
                bail!("two modules are called {}", module.name);
            }
            waiting.insert(place, module);
        }
        for module in waiting.values() {
            if let Some(missing) =
                module.needs.iter().find(|need| !names.contains(*need) && !self.remote.contains(*need))
            {
                bail!("module {} needs {missing}, which runs neither here nor elsewhere", module.name);
            }
        }
        let mut ordered: Vec<Module> = Vec::with_capacity(waiting.len());
        while !waiting.is_empty() {
            let missing: BTreeSet<&str> = waiting.values().map(|module| module.name).collect();
            let free =
                waiting.iter().find(|(_, module)| module.needs.iter().all(|need| !missing.contains(need)));
            let Some(place) = free.map(|(place, _)| *place) else {
                let circle: Vec<&str> = missing.into_iter().collect();
                bail!("these modules need each other in a circle: {}", circle.join(", "));
            };
            ordered.extend(waiting.remove(&place));
        }
        Ok(ordered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(modules: Vec<Module>, remote: &[&'static str]) -> Result<Vec<&'static str>> {
        let mut registry = Registry::new();
        for module in modules {
            registry.add(module);
        }
        for name in remote {
            registry.remote(name);
        }
        Ok(registry.in_order()?.iter().map(Module::name).collect())
    }

    #[test]
    fn what_is_needed_comes_first() {
        let modules =
            || vec![Module::new("order").needs(["pricing", "cart"]), Module::new("cart").needs(["pricing"])];
        let mut all = modules();
        all.push(Module::new("pricing"));
        assert_eq!(order(all, &[]).unwrap(), ["pricing", "cart", "order"]);
        assert_eq!(order(modules(), &["pricing"]).unwrap(), ["cart", "order"]);
        assert!(order(modules(), &[]).unwrap_err().to_string().contains("needs pricing"));
    }

    #[test]
    fn circles_and_namesakes_are_refused() {
        let circle = vec![Module::new("a").needs(["b"]), Module::new("b").needs(["a"]), Module::new("c")];
        assert_eq!(
            order(circle, &[]).unwrap_err().to_string(),
            "these modules need each other in a circle: a, b"
        );
        assert!(order(vec![Module::new("a"), Module::new("a")], &[]).is_err());
    }
}

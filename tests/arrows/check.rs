//! The judgement: layers, homes of foreign crates, cycles of modules, and the shape of each file.
//!
//! Owns the walk over a source folder. Must never change a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::imports::{Import, imports};
use super::{HOMES, LAYERS, ROOMS};

const LONGEST_FILE: usize = 400;
/// Written by diesel's own tool.
const GENERATED: &str = "schema.rs";

type Module = Vec<String>;

struct File {
    name: String,
    module: Module,
    source: String,
    imports: Vec<Import>,
}

/// Everything that is wrong below `folder`, one sentence each, in order.
pub fn violations(folder: &Path) -> Vec<String> {
    let mut files: Vec<File> = rust_files(folder).iter().map(|path| read(folder, path)).collect();
    assert!(!files.is_empty(), "no sources in {}", folder.display());
    name_children_from_the_root(&mut files);
    let mut found: Vec<String> = files
        .iter()
        .flat_map(|file| file.shape().chain(file.arrows()).chain(file.rooms()).chain(file.homes()))
        .collect();
    found.extend(cycles(&files));
    found.sort();
    found.dedup();
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    let mut files: Vec<PathBuf> = paths
        .flat_map(|path| match path.is_dir() {
            true => rust_files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    files.sort();
    files
}

fn read(folder: &Path, path: &Path) -> File {
    let relative = path.strip_prefix(folder).expect("a file below the folder");
    let source = fs::read_to_string(path).expect("the file can be read");
    let module = module_of(relative);
    let mut imports = imports(&source, &module);
    if module == ["main"] {
        // The program names the library by its own name.
        imports.iter_mut().for_each(|import| from_library(&mut import.path));
    }
    File { name: relative.display().to_string(), module, source, imports }
}

/// `domain/token.rs` is `domain::token`; `domain/mod.rs` and `domain.rs` are `domain`; `lib.rs` is `lib`.
fn module_of(relative: &Path) -> Module {
    let mut parts: Module =
        relative.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

fn from_library(path: &mut [String]) {
    if let Some(head) = path.first_mut().filter(|head| *head == "sessiond") {
        "crate".clone_into(head);
    }
}

/// `use token::Token` in `domain/mod.rs` means `crate::domain::token::Token`.
fn name_children_from_the_root(files: &mut [File]) {
    let modules: BTreeSet<Module> = files.iter().map(|file| file.module.clone()).collect();
    for file in files {
        for import in &mut file.imports {
            let head = import.path.first().into_iter();
            let child: Module = file.module.iter().chain(head).cloned().collect();
            if modules.contains(&child) {
                let root = std::iter::once("crate".to_owned());
                import.path = root.chain(file.module.clone()).chain(import.path.clone()).collect();
            }
        }
    }
}

impl File {
    fn layer(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }

    fn shape(&self) -> impl Iterator<Item = String> {
        let checked = !self.name.ends_with(GENERATED);
        let (lines, opening) = (self.source.lines().count(), self.source.starts_with("//!"));
        let silent = format!("{}: does not open with //!, what it owns and must never do", self.name);
        let long = format!("{}: {lines} lines, more than {LONGEST_FILE}", self.name);
        (checked && !opening).then_some(silent).into_iter().chain((checked && lines > LONGEST_FILE).then_some(long))
    }

    /// Imports of other layers that the table does not allow.
    fn arrows(&self) -> impl Iterator<Item = String> {
        let allowed = LAYERS.iter().find(|(layer, _)| *layer == self.layer()).map(|(_, allowed)| *allowed);
        let unknown =
            allowed.is_none().then(|| format!("{}: {} is no layer of tests/arrows.rs", self.name, self.layer()));
        let targets: BTreeSet<&str> = self.imports.iter().filter_map(|import| layer_of(&import.path)).collect();
        let wrong = targets
            .into_iter()
            .filter(move |target| *target != self.layer() && !allowed.unwrap_or_default().contains(target));
        unknown
            .into_iter()
            .chain(wrong.map(|target| format!("{}: {} may not import {target}", self.name, self.layer())))
    }

    /// What a room of the service imports of rooms above it, or of the service's face, which shows all of them.
    fn rooms(&self) -> impl Iterator<Item = String> {
        let floor = |room: &str| ROOMS.iter().position(|known| *known == room);
        let own = (self.layer() == "service").then(|| self.module.get(1).and_then(|room| floor(room))).flatten();
        let targets: BTreeSet<&str> = self.imports.iter().filter_map(|import| room_of(&import.path)).collect();
        let wrong =
            targets.into_iter().filter(move |target| own.is_some_and(|own| floor(target).is_none_or(|it| it > own)));
        wrong.map(|target| format!("{}: a room may not import service::{target}", self.name))
    }

    /// Foreign crates outside of their layer.
    fn homes(&self) -> impl Iterator<Item = String> {
        let module = self.module.join("::");
        let heads: BTreeSet<&str> =
            self.imports.iter().filter_map(|import| import.path.first()).map(String::as_str).collect();
        let strayed = HOMES.iter().filter(move |(name, homes)| {
            heads.contains(name)
                && !homes.iter().any(|home| module == *home || module.starts_with(&format!("{home}::")))
        });
        strayed.map(|(name, homes)| format!("{}: {name} may only be named in {}", self.name, homes.join(", ")))
    }
}

/// The layer that a path leads to; none for foreign crates and for the bare root.
fn layer_of(path: &[String]) -> Option<&str> {
    let (head, rest) = path.split_first()?;
    (head == "crate").then(|| rest.first().map(String::as_str))?.filter(|name| *name != "lib" && *name != "main")
}

/// What of the service a path leads to.
fn room_of(path: &[String]) -> Option<&str> {
    match path {
        [head, layer, room, ..] if head == "crate" && layer == "service" => Some(room),
        _ => None,
    }
}

/// Modules that import each other, in whatever number of steps.
fn cycles(files: &[File]) -> Vec<String> {
    let modules: BTreeSet<&Module> = files.iter().map(|file| &file.module).collect();
    let exports = exports(files);
    let mut edges: BTreeMap<&Module, BTreeSet<&Module>> = BTreeMap::new();
    for file in files {
        // A re-export is a signpost: the parent does not use what it shows.
        let used = file.imports.iter().filter(|import| import.exported.is_none());
        let targets = used.filter_map(|import| target(&import.path, &modules, &exports));
        edges.entry(&file.module).or_default().extend(targets.filter(|target| **target != file.module));
    }
    edges.keys().filter_map(|start| way_back(start, &edges)).map(|way| format!("cycle: {}", way.join(" -> "))).collect()
}

/// What `pub use` shows under which name: `domain::Token` is really `domain::token::Token`.
fn exports(files: &[File]) -> BTreeMap<Module, Module> {
    let mut found = BTreeMap::new();
    for file in files {
        for import in &file.imports {
            let real = import.path.split_first().filter(|(head, _)| *head == "crate");
            if let (Some(name), Some((_, real))) = (&import.exported, real) {
                let shown = file.module.iter().chain(std::iter::once(name)).cloned().collect();
                found.insert(shown, real.to_vec());
            }
        }
    }
    found
}

/// The module that a path really leads to: the longest that exists, behind any re-export.
fn target<'a>(
    path: &[String],
    modules: &BTreeSet<&'a Module>,
    exports: &BTreeMap<Module, Module>,
) -> Option<&'a Module> {
    let (_, rest) = path.split_first().filter(|(head, _)| *head == "crate")?;
    let mut path = rest.to_vec();
    // A re-export may lead to a re-export, but never around in a circle that compiles.
    for _ in 0..8 {
        let shown =
            (1..=path.len()).rev().find_map(|length| exports.get(path.get(..length)?).map(|real| (length, real)));
        let Some((length, real)) = shown else { break };
        path = real.iter().chain(path.iter().skip(length)).cloned().collect();
    }
    (1..=path.len()).rev().find_map(|length| modules.get(&path.get(..length)?.to_vec()).copied())
}

/// The shortest way from a module back to itself; only reported at its first module, to say it once.
fn way_back(start: &Module, edges: &BTreeMap<&Module, BTreeSet<&Module>>) -> Option<Vec<String>> {
    let mut ways: Vec<Vec<&Module>> = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in way.last().and_then(|last| edges.get(*last)).into_iter().flatten() {
                if *next == start {
                    let names = way.iter().chain([&start]).map(|module| module.join("::"));
                    return (way.iter().min() == Some(&start)).then(|| names.collect());
                }
                if seen.insert(*next) {
                    longer.push(way.iter().copied().chain([*next]).collect());
                }
            }
        }
        ways = longer;
    }
    None
}

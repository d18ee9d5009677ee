//! Plugins in WebAssembly text: what no compiler of Rust would make. A test says what its attack is, in a few lines; the
//! rest of the plugin, `SKELETON`, is decent.
//!
//! Such a plugin is named `hostile` and has one handler, `sin`, for `hostile.>`. An event without data is handled well
//! whatever the attack in `handle` is, which runs for events with data: so each test can see that the next event is served.

use std::path::Path;

use palisade::PluginSpec;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The core module of an event plugin. `$OK` is where zeros are: `ok` of every result that the contract knows.
const SKELETON: &str = r#"
(module
  (import "wasi:logging/logging@0.1.0-draft" "log"
    (func $log (param $level i32) (param $context i32) (param $context_len i32) (param $text i32) (param $text_len i32)))
  ;; type, data, content-type (is there one?), metadata; where the answer goes
  (import "palisade:plugin/bus@0.1.0" "publish"
    (func $publish (param i32 i32) (param i32 i32) (param i32 i32 i32) (param i32 i32) (param $answer i32)))
  {{imports}}
  {{memory}}
  (global $OK i32 (i32.const 16))
  (global $INFO i32 (i32.const 4096))
  ;; Everything that the host lowers goes to one place: nobody here reads it.
  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    {{realloc}})
  (func (export "palisade:plugin/plugin@0.1.0#describe") (result i32)
    {{describe}})
  (func (export "palisade:plugin/plugin@0.1.0#start") (param $config i32) (param $config_len i32) (result i32)
    {{start}})
  (func (export "palisade:plugin/plugin@0.1.0#stop")
    {{stop}})
  (func (export "palisade:plugin/plugin@0.1.0#health") (result i32)
    {{health}})
  {{work}}
  {{fields}}
  (data (i32.const 4096) "{{info}}"))
"#;

const HANDLE: &str = r#"
  (func (export "palisade:plugin/handler@0.1.0#handle") (param $handler i32)
      (param $id i32) (param $id_len i32) (param $type i32) (param $type_len i32) (param $source i32) (param $source_len i32)
      (param $time i64) (param $data i32) (param $data_len i32)
      (param $attempt i32) (param $time_left i32) (param $replayed i32) (result i32)
    (if (i32.eqz (local.get $data_len)) (then (return (global.get $OK))))
    {{body}})
"#;

const ACCEPTS: &str = r#"
  (func (export "palisade:plugin/filter@0.1.0#accepts")
      (param $id i32) (param $id_len i32) (param $type i32) (param $type_len i32) (param $source i32) (param $source_len i32)
      (param $time i64) (param $data i32) (param $data_len i32) (result i32)
    (if (i32.eqz (local.get $data_len)) (then (return (i32.const 1))))
    {{body}})
"#;

/// As much of WASI as an attack on its resources needs.
const WASI: [&str; 2] = [
    "package wasi:io@0.2.0; interface poll { resource pollable { block: func(); } }",
    "package wasi:clocks@0.2.0; interface monotonic-clock {
        use wasi:io/poll@0.2.0.{pollable};
        subscribe-duration: func(when: u64) -> pollable;
    }",
];

/// Imports for [`Wat::imports`]: makes a pollable, waits for one, drops one.
pub const POLLABLES: &str = r#"
  (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $pollable (param i64) (result i32)))
  (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
  (import "wasi:io/poll@0.2.0" "[resource-drop]pollable" (func $drop (param i32)))
"#;

/// Where the skeleton's `describe` keeps its answer; one page is there for it.
const INFO: u32 = 4096;

/// A plugin to be: the skeleton, and what a test puts in place of its parts. Every body has to leave what its function
/// answers: `(global.get $OK)`, or `(unreachable)` where it never comes to that.
#[derive(Clone)]
pub struct Wat {
    world: &'static str,
    imports: String,
    memory: String,
    realloc: String,
    describe: String,
    start: String,
    stop: String,
    health: String,
    work: &'static str,
    body: String,
    fields: String,
    info: Vec<u8>,
}

/// Handlers and their patterns.
pub type Handlers<'a> = [(&'a str, &'a [&'a str])];

/// A decent event plugin, to be made hostile.
pub fn event_plugin() -> Wat {
    Wat {
        world: "event-plugin",
        imports: String::new(),
        memory: r#"(memory (export "memory") 4)"#.to_owned(),
        realloc: "(i32.const 65536)".to_owned(),
        describe: "(global.get $INFO)".to_owned(),
        start: "(global.get $OK)".to_owned(),
        stop: String::new(),
        health: "(global.get $OK)".to_owned(),
        work: HANDLE,
        body: "(global.get $OK)".to_owned(),
        fields: String::new(),
        info: info("hostile", &[("sin", &["hostile.>"])]),
    }
}

/// A decent filter, named `hostile`, to be made hostile. It accepts every event, and those without data whatever it is made.
pub fn filter_plugin() -> Wat {
    Wat {
        world: "filter-plugin",
        work: ACCEPTS,
        body: "(i32.const 1)".to_owned(),
        info: info("hostile", &[]),
        ..event_plugin()
    }
}

impl Wat {
    /// More imports: [`POLLABLES`].
    pub fn imports(mut self, wat: &str) -> Self {
        wat.clone_into(&mut self.imports);
        self
    }

    /// The memory that is exported; four pages unless a test says otherwise.
    pub fn memory(mut self, wat: &str) -> Self {
        wat.clone_into(&mut self.memory);
        self
    }

    /// More fields of the module: memories, tables, globals, functions, a core `start` function.
    pub fn fields(mut self, wat: &str) -> Self {
        wat.clone_into(&mut self.fields);
        self
    }

    /// The body of `cabi_realloc`.
    pub fn realloc(mut self, wat: &str) -> Self {
        wat.clone_into(&mut self.realloc);
        self
    }

    /// The body of `describe`; it answers the address of a record.
    pub fn describe(mut self, wat: &str) -> Self {
        wat.clone_into(&mut self.describe);
        self
    }

    /// The body of `start`.
    pub fn start(mut self, wat: &str) -> Self {
        wat.clone_into(&mut self.start);
        self
    }

    /// The body of `stop`, which answers nothing.
    pub fn stop(mut self, wat: &str) -> Self {
        wat.clone_into(&mut self.stop);
        self
    }

    /// The body of `health`.
    pub fn health(mut self, wat: &str) -> Self {
        wat.clone_into(&mut self.health);
        self
    }

    /// The body of `handle`, or of `accepts`, for an event with data.
    pub fn body(mut self, wat: &str) -> Self {
        wat.clone_into(&mut self.body);
        self
    }

    /// What `describe` answers: a name, and handlers with their patterns.
    pub fn info(mut self, name: &str, handlers: &Handlers) -> Self {
        self.info = info(name, handlers);
        self
    }

    /// The core module, as text.
    fn module(&self) -> String {
        let escaped: String = self.info.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let parts = [
            ("{{imports}}", &*self.imports),
            ("{{memory}}", &*self.memory),
            ("{{realloc}}", &*self.realloc),
            ("{{describe}}", &*self.describe),
            ("{{start}}", &*self.start),
            ("{{stop}}", &*self.stop),
            ("{{health}}", &*self.health),
            ("{{work}}", self.work),
            ("{{body}}", &*self.body),
            ("{{fields}}", &*self.fields),
            ("{{info}}", &*escaped),
        ];
        let text = parts
            .iter()
            .fold(SKELETON.to_owned(), |text, (hole, part)| text.replace(hole, part));
        if self.world == "event-plugin" {
            return text;
        }
        // A filter has no bus.
        let (before, rest) = text.split_once("  ;; type, data").expect("the import of the bus");
        let (_, after) = rest.split_once("(param $answer i32)))").expect("its end");
        format!("{before}{after}")
    }

    /// The component's bytes.
    pub fn component(&self) -> Vec<u8> {
        let text = self.module();
        let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut contract = Resolve::default();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        contract.push_dir(folder).expect("the contract");
        for package in WASI {
            contract.push_str("wasi.wit", package).expect("a package");
        }
        let world = format!(
            "package test:hostile; world hostile {{ include palisade:plugin/{}@0.1.0; import wasi:clocks/monotonic-clock@0.2.0; }}",
            self.world
        );
        let package = contract.push_str("world.wit", &world).expect("a package");
        let world = contract.select_world(&[package], None).expect("a world");
        embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8).expect("metadata");
        // What is wrong with it is for the runtime to find.
        let mut encoder = ComponentEncoder::default()
            .validate(false)
            .module(&module)
            .expect("a module");
        encoder.encode().unwrap_or_else(|error| panic!("{error:#}\n{text}"))
    }

    /// A spec for it, under its own name.
    pub fn spec(&self) -> PluginSpec {
        PluginSpec::from_bytes(self.component())
    }
}

/// A spec for a component that is text itself.
pub fn component(text: &str) -> PluginSpec {
    PluginSpec::from_bytes(wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}")))
}

/// `describe`'s record as the canonical ABI lays it out in memory, at `INFO`, with what it points to behind it.
fn info(name: &str, handlers: &Handlers) -> Vec<u8> {
    const RECORD: usize = 40;
    const HANDLER: usize = 36;
    let mut memory = vec![0; RECORD + HANDLER * handlers.len()];
    put_text(&mut memory, 0, name);
    put_text(&mut memory, 8, "1.0.0");
    put_pair(&mut memory, 32, RECORD, handlers.len());
    for (at, (name, patterns)) in handlers.iter().enumerate() {
        let handler = RECORD + HANDLER * at;
        put_text(&mut memory, handler, name);
        memory.resize(memory.len().next_multiple_of(4), 0);
        let list = memory.len();
        memory.resize(list + 8 * patterns.len(), 0);
        put_pair(&mut memory, handler + 8, list, patterns.len());
        for (nth, pattern) in patterns.iter().enumerate() {
            put_text(&mut memory, list + 8 * nth, pattern);
        }
    }
    memory
}

/// Appends a text and points to it from `at`.
fn put_text(memory: &mut Vec<u8>, at: usize, text: &str) {
    let place = memory.len();
    memory.extend(text.as_bytes());
    put_pair(memory, at, place, text.len());
}

/// An address, told from the start of the record, and a length.
fn put_pair(memory: &mut [u8], at: usize, place: usize, length: usize) {
    let address = INFO + u32::try_from(place).expect("a small place");
    let length = u32::try_from(length).expect("a small length");
    memory[at..at + 4].copy_from_slice(&address.to_le_bytes());
    memory[at + 4..at + 8].copy_from_slice(&length.to_le_bytes());
}

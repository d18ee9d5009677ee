//! Whether an instance will have a GC heap, which takes a memory of the pool besides those that the component names.

use wasmparser::{
    AbstractHeapType, CompositeInnerType, ElementItems, FunctionBody, HeapType, Operator, Payload, RefType, TypeRef,
    ValType,
};

/// Tells it of one section. The compiler gives a heap to each module with code or tables for references that are collected;
/// there are none without a type, table, global, tag or element of such, but for `array.len` of an array that there never is.
/// Where this says no, there is none; where it says yes, there may be one.
pub(super) fn may_need_heap(payload: &Payload<'_>) -> bool {
    match payload {
        Payload::TypeSection(types) => types.clone().into_iter().flatten().any(|group| {
            group
                .types()
                .any(|ty| !matches!(ty.composite_type.inner, CompositeInnerType::Func(_)))
        }),
        Payload::ImportSection(imports) => imports.clone().into_imports().flatten().any(|import| match import.ty {
            TypeRef::Table(table) => is_collected(table.element_type),
            TypeRef::Global(global) => is_collected_value(global.content_type),
            TypeRef::Tag(_) => true,
            TypeRef::Func(_) | TypeRef::FuncExact(_) | TypeRef::Memory(_) => false,
        }),
        Payload::TableSection(tables) => {
            let mut tables = tables.clone().into_iter().flatten();
            tables.any(|table| is_collected(table.ty.element_type))
        }
        Payload::GlobalSection(globals) => {
            let mut globals = globals.clone().into_iter().flatten();
            globals.any(|global| is_collected_value(global.ty.content_type))
        }
        Payload::TagSection(tags) => tags.count() > 0,
        Payload::ElementSection(elements) => elements
            .clone()
            .into_iter()
            .flatten()
            .any(|element| matches!(element.items, ElementItems::Expressions(ty, _) if is_collected(ty))),
        Payload::CodeSectionEntry(body) => has_array_len(body),
        _ => false,
    }
}

fn is_collected_value(ty: ValType) -> bool {
    matches!(ty, ValType::Ref(ty) if is_collected(ty))
}

/// A type by its index is a function's here: others are found where they are defined.
fn is_collected(ty: RefType) -> bool {
    match ty.heap_type() {
        HeapType::Abstract { ty, .. } => !matches!(ty, AbstractHeapType::Func | AbstractHeapType::NoFunc),
        HeapType::Concrete(_) | HeapType::Exact(_) => false,
    }
}

/// Reads only those functions whose bytes could be that.
fn has_array_len(body: &FunctionBody<'_>) -> bool {
    let mut bytes = body.as_bytes();
    while let Some(at) = bytes.iter().position(|byte| *byte == 0xfb) {
        bytes = bytes.get(at + 1..).unwrap_or_default();
        // 15, in one byte or, by a strange hand, in more.
        if matches!(bytes.first(), Some(0x0f | 0x8f)) {
            let operators = body.get_operators_reader();
            return operators.is_ok_and(|all| all.into_iter().any(|one| matches!(one, Ok(Operator::ArrayLen))));
        }
    }
    false
}

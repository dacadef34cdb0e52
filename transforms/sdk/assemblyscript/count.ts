// An entry file of modules that count what they allocate. It is one of its own, and has nothing else in it, for the reasons in exports.ts.

export { leat_allocations } from "@leatstream/transform/heap";

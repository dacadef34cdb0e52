// The exports of leat_tx_1: an entry file of every module, beside the transform's own. There is nothing else in it, because the names of
// entry files depend on where they are, and names get into modules.

export { leat_alloc, leat_configure, leat_cursor, leat_transform, leat_tx_1 } from "@leatstream/transform/guest";

// Work with AssemblyScript's runtime: garbage collection, strings, maps, classes. See build.sh.
class Node {
  left: Node | null = null;
  right: Node | null = null;
  constructor(public value: i32) {}
  insert(v: i32): void {
    if (v < this.value) {
      if (this.left) this.left!.insert(v);
      else this.left = new Node(v);
    } else {
      if (this.right) this.right!.insert(v);
      else this.right = new Node(v);
    }
  }
  sum(depth: i32): i64 {
    return <i64>this.value * depth + (this.left ? this.left!.sum(depth + 1) : 0) + (this.right ? this.right!.sum(depth + 1) : 0);
  }
}

export function tree(n: i32): i64 {
  const root = new Node(1 << 30);
  let seed: u32 = n;
  for (let i = 0; i < n; i++) {
    seed = seed * 1664525 + 1013904223;
    root.insert(<i32>(seed >> 1));
  }
  return root.sum(1);
}

export function words(n: i32): i64 {
  const counts = new Map<string, i32>();
  let text = "";
  for (let i = 0; i < n; i++) {
    const w = "w" + ((i * i) % 17).toString();
    counts.set(w, (counts.has(w) ? counts.get(w) : 0) + i);
    text += w.toUpperCase();
  }
  let sum: i64 = text.length;
  const keys = counts.keys();
  for (let i = 0; i < keys.length; i++) sum = sum * 31 + counts.get(keys[i]);
  return sum;
}

// Adds degrees Celsius to readings in Fahrenheit, and a partition by the weather: {"fahrenheit":68} becomes {"fahrenheit":68,"celsius":20}.
// The config may name other fields: { from: temp_f, to: temp_c }.

import { configure, each, Json, Out, Record, Result } from "@leatstream/transform";

let from = "fahrenheit";
let to = "celsius";

configure((config: Json): string | null => {
  if (config.isNull) return null;
  const f = config.get("from");
  const t = config.get("to");
  if (!f || !f.string() || !t || !t.string()) return "config: name the fields, from and to";
  from = f.string()!;
  to = t.string()!;
  return null;
});

each((r: Record): Result => {
  const json = Json.of(r);
  const value = json.get(from);
  if (!value) return Result.fail("celsius.no_reading", "there is no " + from);
  const fahrenheit = value.f64();
  if (isNaN(fahrenheit)) return Result.fail("celsius.no_number", from + " is " + value.rawText() + ", not a number");
  const celsius = Math.round((fahrenheit - 32) * 50 / 9) / 10;
  const changed = json.set(to, number(celsius));
  if (!changed) return Result.fail("celsius.no_object", "the reading is no JSON object");
  return Result.out(Out.data(changed.raw()).partitionBy("weather", celsius <= 0 ? "frost" : "mild"));
});

// number returns x as JSON has it: 20 rather than 20.0.
function number(x: f64): string {
  return x == Math.trunc(x) && Math.abs(x) < 1e15 ? (<i64>x).toString() : x.toString();
}

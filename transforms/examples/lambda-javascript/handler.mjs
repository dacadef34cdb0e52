// A handler as it is written for Amazon Data Firehose: it masks card numbers and names the tenant of each order.

export const handler = async (event) => ({ records: event.records.map(transform) });

function transform({ recordId, data }) {
  const text = Buffer.from(data, "base64").toString();
  if (!text.trim()) return { recordId, result: "Dropped" };
  let order;
  try {
    order = JSON.parse(text);
  } catch {
    console.log("not JSON:", text); // goes to the log, as in Lambda
  }
  if (!order?.tenant) return { recordId, result: "ProcessingFailed", data };
  order.card = String(order.card ?? "").replace(/\b\d{12}(\d{4})\b/, "****$1");
  return {
    recordId,
    result: "Ok",
    data: Buffer.from(JSON.stringify(order)).toString("base64"),
    metadata: { partitionKeys: { tenant: String(order.tenant) } },
  };
}

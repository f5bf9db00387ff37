/** Whether a value of a page's address is a text, a number or a boolean: a value that has a text. */
export function isScalar(value: unknown): value is string | number | boolean {
  return ["string", "number", "boolean"].includes(typeof value);
}

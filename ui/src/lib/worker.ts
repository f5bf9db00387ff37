interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ): {
    createScriptURL(url: string): unknown;
  };
}

let policy: ReturnType<TrustedTypes["createPolicy"]> | undefined;

/** A worker of our own, also where the page's policy asks that script addresses be vouched for. */
export function ownWorker(url: string, name: string): Worker {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  policy ??= trustedTypes?.createPolicy("headrace", {
    createScriptURL: (given) => {
      if (new URL(given, location.href).origin !== location.origin) throw new Error(`${given} is not ours`);
      return given;
    },
  });
  const vouched = (policy?.createScriptURL(url) ?? url) as string;
  return new Worker(vouched, { type: "module", name });
}

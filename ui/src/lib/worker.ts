interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ): {
    createScriptURL(url: string): unknown;
  };
}

let policy: ReturnType<TrustedTypes["createPolicy"]> | undefined;

/** Starts a worker from a script of this origin. Uses a Trusted Types policy where the page's content security policy demands one. */
export function startWorker(url: string, name: string): Worker {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  policy ??= trustedTypes?.createPolicy("headrace", {
    createScriptURL: (given) => {
      if (new URL(given, location.href).origin !== location.origin)
        throw new Error(`${given} is not a script of this server`);
      return given;
    },
  });
  const trusted = (policy?.createScriptURL(url) ?? url) as string;
  return new Worker(trusted, { type: "module", name });
}

import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "@/app/global.css";
import { queryClient } from "@/app/query-client";
import { router } from "@/app/router";
import { applyTheme, storedTheme } from "@/app/theme";
import { takeSecretFromAddress } from "./api/secret";

takeSecretFromAddress();
applyTheme(storedTheme());
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);

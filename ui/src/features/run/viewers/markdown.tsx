import type { ReactNode } from "react";
import styles from "./markdown.module.css";
import { type Block, type Inline, parseMarkdown } from "./markdown-model";

export default function Markdown({ source }: { readonly source: string }) {
  return (
    <article className={styles.markdown}>
      {parseMarkdown(source).map((block, at) => (
        <BlockView key={at} block={block} />
      ))}
    </article>
  );
}

function BlockView({ block }: { readonly block: Block }) {
  switch (block.kind) {
    case "heading": {
      // A report's headings are at a lower level than the page's own.
      const Heading = (["h4", "h5", "h6"] as const)[Math.min(block.level, 3) - 1]!;
      return <Heading data-level={block.level}>{inline(block.children)}</Heading>;
    }
    case "paragraph":
      return <p>{inline(block.children)}</p>;
    case "quote":
      return <blockquote>{inline(block.children)}</blockquote>;
    case "code":
      return <pre>{block.text}</pre>;
    case "rule":
      return <hr />;
    case "list": {
      const List = block.ordered ? "ol" : "ul";
      return (
        <List>
          {block.items.map((item, at) => (
            <li key={at}>{inline(item)}</li>
          ))}
        </List>
      );
    }
    case "table":
      return (
        <table>
          <thead>
            <tr>
              {block.head.map((cell, at) => (
                <th key={at}>{inline(cell)}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {block.rows.map((row, at) => (
              <tr key={at}>
                {row.map((cell, column) => (
                  <td key={column}>{inline(cell)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      );
  }
}

function inline(parts: readonly Inline[]): ReactNode {
  return parts.map((part, at) => {
    switch (part.kind) {
      case "text":
        return part.text;
      case "code":
        return <code key={at}>{part.text}</code>;
      case "strong":
        return <strong key={at}>{inline(part.children)}</strong>;
      case "em":
        return <em key={at}>{inline(part.children)}</em>;
      case "link":
        return (
          <a key={at} href={part.href} target="_blank" rel="noopener noreferrer">
            {inline(part.children)}
          </a>
        );
    }
    return null;
  });
}

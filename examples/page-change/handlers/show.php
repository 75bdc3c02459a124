<?php
// Prints page changes that came back with the page's text. Alone: php -q -S 127.0.0.1:9013 show.php
$change = json_decode(file_get_contents('php://input'), true);
$text = $change['revision']['content_slots']['main']['content_body'] ?? null;

if (!is_string($text)) {
    http_response_code(400); // not tried again: the event goes to the dead letters
    echo "no text in this page change\n";
    return;
}

$line = sprintf(
    "%s of %s (%s) by %s: %s\n",
    $change['page_change_kind'],
    $change['page']['page_title'],
    implode(', ', $change['page']['categories']),
    $change['performer']['user_text'],
    $text,
);
file_put_contents('php://stdout', $line);
http_response_code(204);

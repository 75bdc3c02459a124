<?php
// Prints pushes to one repository. Alone: php -q -S 127.0.0.1:9003 pushes.php
$push = json_decode(file_get_contents('php://input'), true);

if (!isset($push['ref'], $push['commits'], $push['pusher']['name'])) {
    http_response_code(400); // not tried again: the event goes to the dead letters
    echo "not a push\n";
    return;
}

$line = sprintf(
    "%s: %s pushed %d commit(s) to %s of %s\n",
    $_SERVER['HTTP_CE_TYPE'],
    $push['pusher']['name'],
    count($push['commits']),
    $push['ref'],
    $_SERVER['HTTP_CE_SOURCE'],
);
file_put_contents('php://stdout', $line);
http_response_code(204);

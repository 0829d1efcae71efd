package kube

// Timeout is for the tests alone: nobody else wants another one than there is.
var Timeout = timeout

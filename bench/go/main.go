// The same work with Go's amqp091: publish with confirms and a window of 1000, or consume with
// prefetch 500 and an ack each. Prints the line that stopwatch.h describes.
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	bodySize = 256
	prefetch = 500
	window   = 1000
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func publish(channel *amqp.Channel, queue string, count int) time.Duration {
	body := bytes.Repeat([]byte("x"), bodySize)
	check(channel.Confirm(false))
	confirms := channel.NotifyPublish(make(chan amqp.Confirmation, window))
	start := time.Now()
	outstanding := 0
	settle := func() {
		if confirm := <-confirms; !confirm.Ack {
			log.Fatal("not confirmed")
		}
		outstanding--
	}
	for i := 0; i < count; i++ {
		if outstanding == window {
			settle()
		}
		check(channel.PublishWithContext(context.Background(), "", queue, true, false,
			amqp.Publishing{DeliveryMode: amqp.Persistent, Body: body}))
		outstanding++
	}
	for outstanding > 0 {
		settle()
	}
	return time.Since(start)
}

func consume(channel *amqp.Channel, queue string, count int) time.Duration {
	check(channel.Qos(prefetch, 0, false))
	deliveries, err := channel.Consume(queue, "", false, false, false, false, nil)
	check(err)
	var start time.Time
	for i := 0; i < count; i++ {
		delivery, open := <-deliveries
		if !open {
			log.Fatal("the channel was closed")
		}
		if i == 0 {
			start = time.Now()
		}
		check(delivery.Ack(false))
	}
	return time.Since(start)
}

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: go_peer publish|consume URI QUEUE COUNT")
	}
	count, err := strconv.Atoi(os.Args[4])
	check(err)
	connection, err := amqp.Dial(os.Args[2])
	check(err)
	channel, err := connection.Channel()
	check(err)
	work := consume
	if os.Args[1] == "publish" {
		work = publish
	}
	seconds := work(channel, os.Args[3], count).Seconds()
	check(channel.Close())
	check(connection.Close())
	fmt.Printf("bench %d %f\n", count, seconds)
}
